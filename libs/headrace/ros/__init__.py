"""The ROS database, which processor, poller and API share: its migrations and its partitioned tables.

Whoever starts first migrates. Source: RedHatInsights/ros-ocp-backend, migrations; its table and column names.
"""

from typing import Final

# The ROS document asks it by `psql -U postgres`, which opens the database of that name.
DATABASE: Final = "postgres"

# Table to the column whose half-month decides on the partition.
PARTITIONED: Final = {
    "workload_metrics": "interval_end",
    "historical_recommendation_sets": "monitoring_end_time",
    "historical_namespace_recommendation_sets": "monitoring_end_time",
}
