"""The ROS database, which processor, poller and API share: its migrations and its partitioned tables.

The processor owns it and migrates; where all share one role, whoever starts first does.
Source: RedHatInsights/ros-ocp-backend, migrations; its table and column names.
"""

from typing import Final

# The ROS document asks it by `psql -U postgres`, which opens the database of that name.
DATABASE: Final = "postgres"

# The poller's role may not make a table's partition but by this function of migration 0002.
PARTITION_MAKER: Final = "make_historical_partition"

# Table to the column whose half-month decides on the partition.
PARTITIONED: Final = {
    "workload_metrics": "interval_end",
    "historical_recommendation_sets": "monitoring_end_time",
    "historical_namespace_recommendation_sets": "monitoring_end_time",
}
