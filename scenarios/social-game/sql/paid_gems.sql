-- Paid gems are money that the company owes: what was bought, less what was spent, is what users hold.
-- A record that a client sent twice counts once; who spent nothing has no such row.
select (select sum(cast(paid_gems as decimal(38, 0)))
        from (select distinct event_id, paid_gems from purchase) b)
     + (select coalesce(sum(cast(delta as decimal(38, 0))), 0)
        from (select distinct event_id, delta from currency_paid where delta < 0) s)
     - (select sum(cast(balance as decimal(38, 0)))
        from (select user_id, max_by(balance, ts) as balance from currency_paid group by 1) h)
