"""The columns of the CSVs in a cost archive, in the operator's order.

Source: project-koku/koku-metrics-operator 4.1; RedHatInsights/ros-ocp-backend reads the two ROS files.
"""

_PERIOD = ("report_period_start", "report_period_end", "interval_start", "interval_end")

ROS_CONTAINER = (
    *_PERIOD,
    "container_name",
    "pod",
    "owner_name",
    "owner_kind",
    "workload",
    "workload_type",
    "namespace",
    "image_name",
    "node",
    "resource_id",
    "cpu_request_container_avg",
    "cpu_request_container_sum",
    "cpu_limit_container_avg",
    "cpu_limit_container_sum",
    "cpu_usage_container_avg",
    "cpu_usage_container_min",
    "cpu_usage_container_max",
    "cpu_usage_container_sum",
    "cpu_throttle_container_avg",
    "cpu_throttle_container_max",
    "cpu_throttle_container_sum",
    "memory_request_container_avg",
    "memory_request_container_sum",
    "memory_limit_container_avg",
    "memory_limit_container_sum",
    "memory_usage_container_avg",
    "memory_usage_container_min",
    "memory_usage_container_max",
    "memory_usage_container_sum",
    "memory_rss_usage_container_avg",
    "memory_rss_usage_container_min",
    "memory_rss_usage_container_max",
    "memory_rss_usage_container_sum",
)
# Operators from 4.2 on send these; for a container without an accelerator the last eleven are empty.
ROS_CONTAINER_EXTENDED = (
    *ROS_CONTAINER,
    "cpu_throttle_container_min",
    "accelerator_model_name",
    "accelerator_profile_name",
    *(
        f"accelerator_{metric}_{statistic}"
        for metric in ("core_usage_percentage", "memory_copy_percentage", "frame_buffer_usage")
        for statistic in ("min", "max", "avg")
    ),
)
ROS_NAMESPACE = (
    *_PERIOD,
    "namespace",
    "cpu_request_namespace_sum",
    "cpu_limit_namespace_sum",
    "cpu_usage_namespace_avg",
    "cpu_usage_namespace_max",
    "cpu_usage_namespace_min",
    "cpu_throttle_namespace_avg",
    "cpu_throttle_namespace_max",
    "cpu_throttle_namespace_min",
    "memory_request_namespace_sum",
    "memory_limit_namespace_sum",
    "memory_usage_namespace_avg",
    "memory_usage_namespace_max",
    "memory_usage_namespace_min",
    "memory_rss_usage_namespace_avg",
    "memory_rss_usage_namespace_max",
    "memory_rss_usage_namespace_min",
    "namespace_running_pods_max",
    "namespace_running_pods_avg",
    "namespace_total_pods_max",
    "namespace_total_pods_avg",
)
POD_USAGE = (
    *_PERIOD,
    "node",
    "namespace",
    "pod",
    "pod_usage_cpu_core_seconds",
    "pod_request_cpu_core_seconds",
    "pod_limit_cpu_core_seconds",
    "pod_usage_memory_byte_seconds",
    "pod_request_memory_byte_seconds",
    "pod_limit_memory_byte_seconds",
    "node_capacity_cpu_cores",
    "node_capacity_cpu_core_seconds",
    "node_capacity_memory_bytes",
    "node_capacity_memory_byte_seconds",
    "node_role",
    "resource_id",
    "pod_labels",
)
