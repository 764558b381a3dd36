#include "textflag.h"

// The constants of the rounds (FIPS 180-4, 4.2.2), four a line.
#define K(at, low, high) \
	DATA k<>+at(SB)/8, $low; \
	DATA k<>+at+8(SB)/8, $high

K(0, 0x71374491428a2f98, 0xe9b5dba5b5c0fbcf)
K(16, 0x59f111f13956c25b, 0xab1c5ed5923f82a4)
K(32, 0x12835b01d807aa98, 0x550c7dc3243185be)
K(48, 0x80deb1fe72be5d74, 0xc19bf1749bdc06a7)
K(64, 0xefbe4786e49b69c1, 0x240ca1cc0fc19dc6)
K(80, 0x4a7484aa2de92c6f, 0x76f988da5cb0a9dc)
K(96, 0xa831c66d983e5152, 0xbf597fc7b00327c8)
K(112, 0xd5a79147c6e00bf3, 0x1429296706ca6351)
K(128, 0x2e1b213827b70a85, 0x53380d134d2c6dfc)
K(144, 0x766a0abb650a7354, 0x92722c8581c2c92e)
K(160, 0xa81a664ba2bfe8a1, 0xc76c51a3c24b8b70)
K(176, 0xd6990624d192e819, 0x106aa070f40e3585)
K(192, 0x1e376c0819a4c116, 0x34b0bcb52748774c)
K(208, 0x4ed8aa4a391c0cb3, 0x682e6ff35b9cca4f)
K(224, 0x78a5636f748f82ee, 0x8cc7020884c87814)
K(240, 0xa4506ceb90befffa, 0xc67178f2bef9a3f7)
GLOBL k<>(SB), RODATA|NOPTR, $256

// A message's words are big-endian.
DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// The 16 words of each lane that the next rounds need.
#define A0 X5
#define A1 X6
#define A2 X7
#define A3 X8
#define B0 X9
#define B1 X10
#define B2 X11
#define B3 X12

#define load(at, from, m) \
	VMOVDQU at(from), m; \
	VPSHUFB X13, m, m

// Four rounds of one lane. Two rounds put the next a, b, e, f in place of c, d, g, h;
// what was a, b, e, f is the next c, d, g, h as it stands: hence the exchange.
#define rounds(at, m, abef, cdgh) \
	VPADDD k<>+at(SB), m, X0; \
	SHA256RNDS2 X0, abef, cdgh; \
	VPSHUFD $0x0e, X0, X0; \
	SHA256RNDS2 X0, cdgh, abef

// The words of one lane 16 rounds after those in m0, in place of these.
#define schedule(m0, m1, m2, m3) \
	SHA256MSG1 m1, m0; \
	VPALIGNR $4, m2, m3, X0; \
	VPADDD X0, m0, m0; \
	SHA256MSG2 m3, m0

#define four(at, a0, a1, a2, a3, b0, b1, b2, b3) \
	rounds(at, a0, X1, X2); \
	schedule(a0, a1, a2, a3); \
	rounds(at, b0, X3, X4); \
	schedule(b0, b1, b2, b3)

#define sixteen(at) \
	four(at, A0, A1, A2, A3, B0, B1, B2, B3); \
	four(at+16, A1, A2, A3, A0, B1, B2, B3, B0); \
	four(at+32, A2, A3, A0, A1, B2, B3, B0, B1); \
	four(at+48, A3, A0, A1, A2, B3, B0, B1, B2)

#define lastFour(at, a, b) \
	rounds(at, a, X1, X2); \
	rounds(at, b, X3, X4)

#define add(state, half) \
	VPADDD state, half, half; \
	VMOVDQU half, state

// func blockPair(a, b *[8]uint32, p, q *byte, blocks int)
// SHA256RNDS2 is what a block waits for: its result takes 4 cycles, the next one
// that does not need it can start after 3 (measured on Emerald Rapids). Four rounds
// of the lanes by turns are near enough for the processor to overlap them; finer
// weaving gained nothing. X0 outlives neither a rounds nor a schedule.
// The method is that of S. Gulley et al., "Intel SHA Extensions" (2013).
TEXT ·blockPair(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), AX
	MOVQ b+8(FP), BX
	MOVQ p+16(FP), SI
	MOVQ q+24(FP), DI
	MOVQ blocks+32(FP), CX
	VMOVDQU (AX), X1
	VMOVDQU 16(AX), X2
	VMOVDQU (BX), X3
	VMOVDQU 16(BX), X4
	VMOVDQU swap<>(SB), X13

next:
	load(0, SI, A0)
	load(0, DI, B0)
	load(16, SI, A1)
	load(16, DI, B1)
	load(32, SI, A2)
	load(32, DI, B2)
	load(48, SI, A3)
	load(48, DI, B3)
	sixteen(0)
	sixteen(64)
	sixteen(128)
	lastFour(192, A0, B0)
	lastFour(208, A1, B1)
	lastFour(224, A2, B2)
	lastFour(240, A3, B3)
	add((AX), X1) // in memory: the state before this block
	add(16(AX), X2)
	add((BX), X3)
	add(16(BX), X4)
	ADDQ $64, SI
	ADDQ $64, DI
	DECQ CX
	JNZ next
	RET
