"""S3: put, stream, get, copy, presign. Only this package imports an S3 client library."""
