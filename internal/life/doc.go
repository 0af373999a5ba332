// SPDX-License-Identifier: Apache-2.0

// Package life says how things end, as pure tables: a value, and a method On that
// is told what happens, changes the value and returns what is to be done. It knows
// no engine, no time and no lock; who owns the value calls On one event at a time.
package life

//go:generate go run ./diagram
