// Lets the op load where glibc and libstdc++ are older than those that it is
// linked with.
//
// A symbol that was moved or changed carries a new version, and the linker
// takes the newest. Here each such symbol has a function that calls the old
// version, which new systems keep for old programs. By old_systems.txt,
// `--wrap`, the linker has these functions called. tests/wheel/report.py looks
// at all versions that the finished library asks for.

#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ios>
#include <new>
#include <sstream>

// The first glibc of this processor.
#if defined(__x86_64__)
#define HUNGARIAN_FIRST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define HUNGARIAN_FIRST_GLIBC "GLIBC_2.17"
#else
#error "the op is built for x86-64 and arm64"
#endif

// Declares `first_NAME`, the symbol NAME as the first version had it.
#define HUNGARIAN_FIRST(result, name, arguments) \
  result first_##name arguments;                 \
  __asm__(".symver first_" #name "," #name "@" HUNGARIAN_FIRST_GLIBC)

extern "C" {

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier)

// Moved from libdl and libpthread into libc by glibc 2.34.
HUNGARIAN_FIRST(void*, dlopen, (const char*, int));
HUNGARIAN_FIRST(int, dlclose, (void*));
HUNGARIAN_FIRST(void*, dlsym, (void*, const char*));
HUNGARIAN_FIRST(char*, dlerror, ());
HUNGARIAN_FIRST(int, pthread_key_create, (pthread_key_t*, void (*)(void*)));
HUNGARIAN_FIRST(int, pthread_key_delete, (pthread_key_t));
HUNGARIAN_FIRST(int, pthread_setspecific, (pthread_key_t, const void*));

void* __wrap_dlopen(const char* file, int mode) {
  return first_dlopen(file, mode);
}
int __wrap_dlclose(void* library) { return first_dlclose(library); }
void* __wrap_dlsym(void* library, const char* name) {
  return first_dlsym(library, name);
}
char* __wrap_dlerror() { return first_dlerror(); }
int __wrap_pthread_key_create(pthread_key_t* key, void (*destroy)(void*)) {
  return first_pthread_key_create(key, destroy);
}
int __wrap_pthread_key_delete(pthread_key_t key) {
  return first_pthread_key_delete(key);
}
int __wrap_pthread_setspecific(pthread_key_t key, const void* value) {
  return first_pthread_setspecific(key, value);
}

// stat64 and fstat64 are functions since glibc 2.33; before, they were macros
// over these, which take the layout of `struct stat` by number.
HUNGARIAN_FIRST(int, __xstat64, (int, const char*, struct stat64*));
HUNGARIAN_FIRST(int, __fxstat64, (int, int, struct stat64*));
#if defined(__x86_64__)
inline constexpr int kStatLayout = 1;
#else
inline constexpr int kStatLayout = 0;
#endif

int __wrap_stat64(const char* file, struct stat64* found) {
  return first___xstat64(kStatLayout, file, found);
}
int __wrap_fstat64(int file, struct stat64* found) {
  return first___fxstat64(kStatLayout, file, found);
}

// New in glibc 2.28. Callers fall back to stat64 where the kernel has no statx.
int __wrap_statx(int folder, const char* file, int flags, unsigned int mask,
                 struct statx* found) {
  return static_cast<int>(syscall(SYS_statx, folder, file, flags, mask, found));
}

// New in glibc 2.30.
pid_t __wrap_gettid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// New in glibc 2.32: whether, with a single thread, atomic operations can be
// avoided. Here they never are.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;

// std::condition_variable::wait, changed by GCC 12 to say that it does not
// throw.
void first_wait(void* condition, void* lock);
__asm__(
    ".symver first_wait,"
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(
    void* condition, void* lock) {
  first_wait(condition, lock);
}

// std::__throw_bad_array_new_length, new in GCC 11.
[[noreturn]] void __wrap__ZSt28__throw_bad_array_new_lengthv() {
  throw std::bad_array_new_length();
}

// Constructors of streams over strings without an argument, new in GCC 9. `at`
// is where the stream is constructed.
void __wrap__ZNSt7__cxx1118basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev(
    void* at) {
  new (at) std::stringstream(std::ios_base::in | std::ios_base::out);
}
void __wrap__ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1Ev(
    void* at) {
  new (at) std::ostringstream(std::ios_base::out);
}
void __wrap__ZNSt7__cxx1119basic_istringstreamIcSt11char_traitsIcESaIcEEC1Ev(
    void* at) {
  new (at) std::istringstream(std::ios_base::in);
}

// NOLINTEND(bugprone-reserved-identifier)

}  // extern "C"
