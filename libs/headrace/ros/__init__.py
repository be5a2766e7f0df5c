"""The ROS database, which processor, poller and API share: its migrations and its partitioned tables.

The processor owns and migrates it; if all share one role, the first service that starts migrates it. Source:
RedHatInsights/ros-ocp-backend, migrations; its table and column names.
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
