module headrace/tests/clients

go 1.21
