// SPDX-License-Identifier: Apache-2.0

package main

func Example() {
	main()
	// Output:
	// {1A Ada} <nil>
	// { } 1A: the seat is taken
	// 2 offered: 1 finished, 1 failed <nil>
}
