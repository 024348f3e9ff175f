// Boost's own guarded stacks; the switch is called from Rust directly (boost.rs).
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>

// Returns the top of a new stack and sets its size, guard included; null if there is none.
extern "C" void *siding_peer_boost_allocate(std::size_t *size)
{
    try {
        auto stack = boost::context::protected_fixedsize_stack(*size).allocate();
        *size = stack.size;
        return stack.sp;
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

extern "C" void siding_peer_boost_deallocate(void *top, std::size_t size)
{
    boost::context::stack_context stack;
    stack.sp = top;
    stack.size = size;
    boost::context::protected_fixedsize_stack().deallocate(stack);
}
