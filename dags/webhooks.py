"""Webhooks: records that a vendor says have changed are read again, and quote-to-cash runs at once.

Moves: nothing by itself. What vendors send to /tieout/hooks/<connection> waits in Tieout's inbox; the records that it
names are read again and staged, each once, however often it was named. Then quote-to-cash is started, which judges them
with everything else that changed.

When: by the schedule in the link's file, `webhooks:`, such as every five minutes; a run that finds an empty inbox ends
as skipped. A webhook is a hint: one that is lost, late or doubled costs or gains some minutes, for the hourly run reads
what changed whether it was told or not.

If a task fails: its notice says what to do. Deliveries that could not be read wait and are taken again; after eight
attempts they are failed, and the page Webhooks under "Tieout" and `tieout hooks` show them with the reason.

Owner: the owners named in the link's file. Airflow runs this file; all work is in tieout.scenarios.hooks_inbox.
"""

from tieout.orchestration.hook_watch import dags_for_links

for dag in dags_for_links(card=__doc__):
    globals()[dag.dag_id] = dag
