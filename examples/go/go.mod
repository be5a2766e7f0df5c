module headrace.example/sender

go 1.21
