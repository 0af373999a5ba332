// SPDX-License-Identifier: Apache-2.0

package main

func Example() {
	main()
	// Output:
	// {1A Ada 90} <nil>
	// {  0} 1A: the seat is taken
	// {2B Cleo 60} <nil>
	// {  0} price of 3C: actors: timeout: main.PriceOf of prices
}
