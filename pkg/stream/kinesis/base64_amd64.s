#include "textflag.h"

// Of 12 bytes a lane: the bytes of each 24 bits as 1 0 2 1.
DATA order<>+0(SB)/8, $0x0405030401020001
DATA order<>+8(SB)/8, $0x0a0b090a07080607
GLOBL order<>(SB), RODATA|NOPTR, $16

// What is added to a value of 6 bits: A to Z (0), a to z (1), 0 to 9 (2 to 11), + and /.
DATA letters<>+0(SB)/8, $0xfcfcfcfcfcfc4741
DATA letters<>+8(SB)/8, $0x0000f0edfcfcfcfc
GLOBL letters<>(SB), RODATA|NOPTR, $16

DATA masks<>+0(SB)/4, $0x0fc0fc00
DATA masks<>+4(SB)/4, $0x04000040
DATA masks<>+8(SB)/4, $0x003f03f0
DATA masks<>+12(SB)/4, $0x01000010
DATA masks<>+16(SB)/4, $0x33333333 // 51
DATA masks<>+20(SB)/4, $0x19191919 // 25
GLOBL masks<>(SB), RODATA|NOPTR, $24

// func encodeBlocks(to, data *byte, blocks int)
// blocks > 0, of 24 bytes to 32 digits. It reads 4 bytes behind the last one.
// The method is that of W. Muła and D. Lemire, "Faster Base64 Encoding and
// Decoding Using AVX2 Instructions" (2018).
TEXT ·encodeBlocks(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ data+8(FP), SI
	MOVQ blocks+16(FP), CX
	VBROADCASTI128 order<>(SB), Y4
	VBROADCASTI128 letters<>(SB), Y5
	VPBROADCASTD masks<>+0(SB), Y6
	VPBROADCASTD masks<>+4(SB), Y7
	VPBROADCASTD masks<>+8(SB), Y8
	VPBROADCASTD masks<>+12(SB), Y9
	VPBROADCASTD masks<>+16(SB), Y10
	VPBROADCASTD masks<>+20(SB), Y11

next:
	VMOVDQU (SI), X0
	VINSERTI128 $1, 12(SI), Y0, Y0
	VPSHUFB Y4, Y0, Y0
	VPAND Y6, Y0, Y1    // first and third value of each 24 bits
	VPMULHUW Y7, Y1, Y1
	VPAND Y8, Y0, Y0    // second and fourth
	VPMULLW Y9, Y0, Y0
	VPOR Y1, Y0, Y0
	VPSUBUSB Y10, Y0, Y1 // which letters: 0 up to 51, else 1 and more
	VPCMPGTB Y11, Y0, Y2 // and one more above 25
	VPSUBB Y2, Y1, Y1
	VPSHUFB Y1, Y5, Y1
	VPADDB Y1, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $24, SI
	ADDQ $32, DI
	DECQ CX
	JNZ next
	VZEROUPPER
	RET
