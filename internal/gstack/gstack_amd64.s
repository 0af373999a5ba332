// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func here() (id, used uintptr)
TEXT ·here(SB), NOSPLIT, $0-16
	MOVQ (TLS), AX // g
	MOVQ AX, id+0(FP)
	MOVQ 8(AX), CX // g.stack.hi
	SUBQ SP, CX
	MOVQ CX, used+8(FP)
	RET
