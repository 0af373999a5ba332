module github.com/protoloop/protoloop/cmd/example

go 1.26.0

replace github.com/protoloop/protoloop => ../../
