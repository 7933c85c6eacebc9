-- A workload whose sorts are handed to worker threads.
pragma threads = 3;
pragma cache_size = 100;
pragma temp_store = file;
create table t(a integer primary key, b integer, c text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into t select i, (i * 7919) % 60013, printf('%032d', (i * 104729) % 1000003) from n;
create index by_b on t(b);
create index by_c on t(c, b);
select count(*), sum(b) from t;
select group_concat(b) from (select b from t order by c desc limit 20);
select c, count(*) from (select substr(c, 32) as c from t order by c) group by c;
pragma integrity_check;
