-- Purchases without a receipt of their amount, and receipts without such a purchase. The two teams share
-- the trace id only.
select count(*)
from purchase p
full outer join payment_receipt r
  on r.traceId = p.trace_id
 and cast(r.amountMicros as decimal(38, 0)) = cast(p.amount as decimal(18, 2)) * 1000000
where p.trace_id is null or r.traceId is null
