// From a kernel's name to a call of it with the arguments that a launch brings.
#pragma once
#include <tuple>
#include <utility>

// A launch of a kernel: calling it runs one thread.
struct Call {
  virtual ~Call() = default;
  virtual void run() const = 0;
};
// Takes the launch's array of pointers to arguments, copies them, and returns the call.
typedef Call* (*Kernel)(void** arguments);

// Makes `kernel` known to the driver.
bool add_kernel(const char* name, Kernel kernel);

template <class... Arguments> struct CallOf final : Call {
  void (*function)(Arguments...);
  std::tuple<Arguments...> copies;
  CallOf(void (*function)(Arguments...), std::tuple<Arguments...> copies) : function(function), copies(copies) {}
  void run() const override { std::apply(function, copies); }
};
template <class... Arguments, size_t... I>
Call* call_of(void (*function)(Arguments...), void** arguments, std::index_sequence<I...>) {
  (void)arguments;
  return new CallOf<Arguments...>(function, {*(Arguments*)arguments[I]...});
}
template <class... Arguments> Call* call_of(void (*function)(Arguments...), void** arguments) {
  return call_of(function, arguments, std::index_sequence_for<Arguments...>{});
}
#define ADD_KERNEL_AS(name, function) \
  static const bool added_##name = add_kernel(#name, [](void** arguments) { return call_of(function, arguments); })
#define ADD_KERNEL(name) ADD_KERNEL_AS(name, name)
