-- Users who logged in, finished the tutorial, cleared a stage and bought something.
select count(distinct l.user_id)
from login l
join tutorial_end t on t.user_id = l.user_id
join stage_clear s on s.user_id = l.user_id
join purchase p on p.user_id = l.user_id
where l.day = '${day}'
