"""The wire: topics, messages, identities and archive layout. Pure data; imports nothing else of ours."""
