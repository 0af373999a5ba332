// SPDX-License-Identifier: Apache-2.0

// Empty: with it the compiler allows that goyield has no body.
