// SPDX-License-Identifier: Apache-2.0

// Command modproxy packs modules of this repository as a module proxy has them, into a folder that a GOPROXY of
// file:// names, so that what go get does can be tried before anything is published.
//
//	modproxy -root ../.. -out /tmp/proxy -version v0.1.0 . consumer/sqs
//
// Its arguments are folders of modules. It packs what git would publish: tracked files, and new ones that are not ignored.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "the repository")
	out := flag.String("out", "", "the proxy's folder")
	version := flag.String("version", "", "the version that the modules get")
	flag.Parse()
	if *out == "" || *version == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, dir := range flag.Args() {
		if err := pack(*root, dir, *version, *out, nil); err != nil {
			fmt.Fprintln(os.Stderr, "modproxy:", err)
			os.Exit(1)
		}
	}
}
