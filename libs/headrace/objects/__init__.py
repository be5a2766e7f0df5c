"""S3: put, stream, get, copy, presign. The only place that knows a client library."""
