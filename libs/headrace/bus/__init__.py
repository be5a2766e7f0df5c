"""Kafka: typed topics, a producer, and the consumer runtime. Only this package imports aiokafka."""
