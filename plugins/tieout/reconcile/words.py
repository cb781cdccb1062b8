"""The sentence of a difference, and what of both records is shown: SQL over a row of `recon_found` named `f`."""

from __future__ import annotations


def money(value: str, scale: str = "f.scale", currency: str = "f.currency") -> str:
    """An exact amount with its currency."""
    return (
        f"round(({value})::numeric / power(10::numeric, {scale}::numeric), {scale}::int)::text "
        f"|| case when {currency} = '' then '' else ' ' || {currency} end"
    )


def _plain(value: str, item: str) -> str:
    return f"round({value}::numeric / power(10::numeric, {item}.scale::numeric), {item}.scale::int)::text"


def shown_json(item: str, side: str) -> str:
    """What is shown of one side: the sum of what counts, and the fields of the record that stands for it."""
    of = f"(f.{item})"
    return f"""jsonb_strip_nulls(jsonb_build_object(
        'record', {of}.label, 'amount', {_plain(f"f.{side}_amount", "f")}, 'currency', {of}.currency,
        'customer', coalesce({of}.customer_name, {of}.customer), 'date', {of}.date, 'number', {of}.number,
        'status', {of}.status, 'total', {_plain(f"{of}.total", of)}, 'paid', {_plain(f"{of}.paid", of)},
        'due', {_plain(f"{of}.due", of)}, 'paid_on', {of}.paid_on, 'rate', {of}.rate::text,
        'reference', {of}.reference, 'state', {of}.state, 'changed_at', {of}.changed_at))"""


_A = "initcap(left(f.a_label, 1)) || substr(f.a_label, 2)"
_B = "initcap(left(f.b_label, 1)) || substr(f.b_label, 2)"
_WHOSE = "coalesce(' of ' || coalesce((f.ma).customer_name, (f.mb).customer_name), '')"
_BOTH = f"({_A}) || {_WHOSE} || coalesce(' and ' || nullif(f.b_label, f.a_label), '')"
_STATE = "coalesce((f.{0}).state, 'gone')"

_FOUND_B = f"""case when f.b_live then f.b_label || ', which comes to nothing'
    when (f.mb).key is not null then f.b_label || ', which is ' || {_STATE.format("mb")}
    when f.b_known then 'none: what was there is gone' else 'none' end"""
_FOUND_A = f"""case when (f.ma).key is not null then f.a_label || ', which is ' || {_STATE.format("ma")}
    when f.a_known then 'none: what was there is gone' else 'none' end"""
_WORD = """case f.component when 'number' then 'document number' when 'paid_on' then 'date of payment'
    when 'due' then 'amount due' when 'rate' then 'exchange rate' else f.component end"""
_MEASURE = (
    """case f.component when 'paid' then 'paid' when 'amount' then 'net' else replace(f.component, '_', ' ') end"""
)

#: What was expected, what was found, with both numbers; then why, where that is known.
EXPLANATION = f"""
    case
    when f.component in ('presence', 'price', 'stock', 'balance', 'limit', 'available') and f.a_live and not f.b_live
        or f.component = 'presence' and f.a_live
        then ({_A}) || {_WHOSE} || ': expected ' || {money("f.a_amount")} || ' in the ledger, found ' || {_FOUND_B}
    when f.component in ('presence', 'price', 'stock', 'balance', 'limit', 'available') and not f.a_live
        then ({_B}) || {_WHOSE} || ': expected ' || {money("f.b_amount")} || ' in the CRM, found ' || {_FOUND_A}
    when f.component = 'currency'
        then {_BOTH} || ': expected one currency, found ' || {money("(f.ma).amount", "(f.ma).scale", "(f.ma).currency")}
            || ' in the CRM and ' || {money("(f.mb).amount", "(f.mb).scale", "(f.mb).currency")} || ' in the ledger'
    when f.component = 'link' and f.tier is not null
        then {_BOTH} || ': expected a link between them, found none; they were matched by the rule '
            || replace(split_part(f.tier, '.', 2), '_', ' ')
    when f.component = 'link'
        then ({_A}) || {_WHOSE} || ': expected it to show ' || coalesce(f.b_label, f.b_value) || ', found nothing'
    when f.a_value is not null or f.b_value is not null
        then {_BOTH} || ': the ' || {_WORD} || ' is ' || coalesce(f.a_value, 'empty') || ' in the CRM and '
            || coalesce(f.b_value, 'empty') || ' in the ledger'
    else {_BOTH} || ': ' || {_MEASURE} || ' is ' || {money("f.a_amount")} || ' in the CRM and ' || {money("f.b_amount")}
        || ' in the ledger, ' || {money("abs(f.amount)")} || case when f.amount > 0 then ' more' else ' less' end
        || ' in the CRM'
    end
    || case f.class
        when 'rejected_or_held' then '. Tieout holds it: ' || f.held
        when 'in_transit' then '. It is on its way: ' || coalesce(f.pending, case when f.later_days is not null then
            'it is dated ' || f.later_days || ' days after the day of this report' else
            'it changed after the last sync began' end)
        when 'duplicate' then '. It looks like ' || f.twin || ' a second time'
        when 'date' then coalesce('. It is dated ' || f.later_days || ' days after the day of this report', '')
        when 'closed_period_change' then '. Its period is locked or closed, and it changed since'
        when 'stale_credit' then '. The CRM''s figures are of '
            || coalesce(to_char((f.ma).as_of at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'an unknown time')
        else '' end
    || '.'
"""
