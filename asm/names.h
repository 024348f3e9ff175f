/* Prefix and version: two versions of siding in one program must not share
 * code, which C linkage would do without a word. src/arch/mod.rs tests the digits. */
#if defined(__APPLE__) && defined(__ASSEMBLER__)
/* Where C's names begin with an underscore. */
# define SIDING(name) _siding_0_1_##name
#else
# define SIDING(name) siding_0_1_##name
#endif
