module github.com/protoloop/protoloop/bench

go 1.26.0

replace github.com/protoloop/protoloop => ../
