"""Kafka: typed topics, a producer, and the consumer runtime. The only place that knows aiokafka."""
