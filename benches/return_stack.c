/* What a switch that returns by a jump costs those it returns through (x86_64):
 *   cc -O2 benches/return_stack.c -o return_stack && ./return_stack
 * Each call pushes its return address on a small stack of the processor's, each ret predicts
 * by it. A leaf that pops the address and jumps leaves its entry there: then every function
 * above it that returns is predicted wrongly, though it did nothing unusual itself. */
#include <stdio.h>
#include <time.h>

#define DISTINCT(name, call) __attribute__((noinline)) static void name(void (*leaf)(void)) { call; __asm__ volatile(""); }
__attribute__((naked)) static void returns(void) { __asm__("ret"); }
__attribute__((naked)) static void jumps(void) { __asm__("pop %rcx; jmp *%rcx"); }
DISTINCT(inside1, leaf()) DISTINCT(inside2, inside1(leaf))
DISTINCT(inside3, inside2(leaf)) DISTINCT(inside4, inside3(leaf))

static double ns(void (*inside)(void (*)(void)), void (*leaf)(void)) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 10000000; i++) inside(leaf);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - start.tv_sec) * 1e2 + (end.tv_nsec - start.tv_nsec) * 1e-7;
}

int main(void) {
    printf("ns inside 1 and 4 functions: leaf returns %.1f %.1f, ", ns(inside1, returns), ns(inside4, returns));
    printf("leaf pops and jumps %.1f %.1f\n", ns(inside1, jumps), ns(inside4, jumps));
}
