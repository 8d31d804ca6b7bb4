/* Preloaded into the User-Mode Linux kernel where the processor has AMX.
 *
 * That kernel keeps the registers of a process in a buffer of fixed size, which is too small then: it reads what fits
 * of NT_X86_XSTATE, but Linux refuses to set less than everything (xstateregs_set() in arch/x86/kernel/fpu/regset.c).
 * So the rest is read and set as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

static long (*libc_ptrace)(int, pid_t, void *, void *);
static char registers[65536] __attribute__((aligned(64)));

__attribute__((constructor)) static void find(void)
{
	libc_ptrace = dlsym(RTLD_NEXT, "ptrace");
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list list;
	va_start(list, request);
	pid_t pid = va_arg(list, pid_t);
	void *address = va_arg(list, void *);
	struct iovec *data = va_arg(list, void *);
	va_end(list);
	struct iovec all = { registers, sizeof(registers) };
	if (request != PTRACE_SETREGSET || address != (void *)NT_X86_XSTATE ||
	    libc_ptrace(PTRACE_GETREGSET, pid, address, &all) != 0 || all.iov_len < data->iov_len)
		return libc_ptrace(request, pid, address, data);
	memcpy(registers, data->iov_base, data->iov_len);
	return libc_ptrace(request, pid, address, &all);
}
