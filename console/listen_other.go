// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package console

// isRefused reports whether a connection was refused; where that is not known it was not.
func isRefused(error) bool { return false }

// isRunning reports whether there is a process of that id; where that is not known there is.
func isRunning(int) bool { return true }
