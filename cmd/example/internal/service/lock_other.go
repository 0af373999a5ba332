// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package service

// lock does nothing: it is on the user to start one process on a data folder.
func lock(string) (unlock func(), err error) { return func() {}, nil }
