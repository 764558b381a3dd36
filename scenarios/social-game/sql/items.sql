-- User and item pairs whose changes do not add up to the last balance. A record that a client sent
-- twice counts once.
select count(*)
from (select user_id, item_id, sum(cast(delta as decimal(38, 0))) as moved
      from (select distinct event_id, user_id, item_id, delta from item_change) c
      group by 1, 2) m
join (select user_id, item_id, max_by(balance, ts) as balance
      from item_change
      group by 1, 2) b
  on b.user_id = m.user_id and b.item_id = m.item_id
where m.moved <> b.balance
