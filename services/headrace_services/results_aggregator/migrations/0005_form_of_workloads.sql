-- For tools that ask which form the workloads' tables have, as `migration_info` tells of the others.
create table dvo.migration_info (version int not null);
insert into dvo.migration_info values (5);
