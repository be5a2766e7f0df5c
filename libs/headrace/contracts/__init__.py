"""The wire formats: topics, messages, identities and archive layout. No I/O; imports no other package of headrace."""
