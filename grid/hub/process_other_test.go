// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package hub_test

func child() bool { return false }
