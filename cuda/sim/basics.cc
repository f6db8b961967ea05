// What basics.h declares.

#include "basics.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace sim {

void Die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fputs("simulator: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputc('\n', stderr);
  va_end(arguments);
  std::abort();
}

string EnvText(const char* name, const char* otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? text : otherwise;
}

double EnvNumber(const char* name, double otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr && *text != 0 ? std::atof(text) : otherwise;
}

}  // namespace sim
