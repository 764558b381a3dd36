-- Receipts that do not show the amount of their purchase. The two teams share the trace id only.
select count(*)
from payment_receipt r
left join purchase p
  on p.trace_id = r.traceId
 and cast(p.amount as decimal(38, 2)) * 1000000 = cast(r.amountMicros as decimal(38, 0))
where p.trace_id is null
