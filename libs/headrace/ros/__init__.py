"""The ROS database, shared by ros_processor, ros_poller and ros_api: its migrations and its partitioned tables.

ros_processor owns and migrates it; if all share one role, the first service that starts migrates it. Source:
RedHatInsights/ros-ocp-backend, migrations, for the names of tables and columns.
"""

from typing import Final

# The ROS document queries it by `psql -U postgres`, which opens the database of that name.
DATABASE: Final = "postgres"

# The role of ros_poller may create partitions only through this function of migration 0002.
PARTITION_MAKER: Final = "make_historical_partition"

# Each partitioned table with the column whose half-month selects the partition.
PARTITIONED: Final = {
    "workload_metrics": "interval_end",
    "historical_recommendation_sets": "monitoring_end_time",
    "historical_namespace_recommendation_sets": "monitoring_end_time",
}
