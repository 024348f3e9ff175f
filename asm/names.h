/* Prefix and version: two versions of siding in one program must not share
 * code, which C linkage would do without a word. src/arch/mod.rs tests the digits. */
#define SIDING(name) siding_0_1_##name
