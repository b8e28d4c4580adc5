module innkeeper.example/docs

go 1.24
