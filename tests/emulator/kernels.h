// From a kernel's name to a call of it with the arguments that a launch brings.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

// Takes the launch's array of pointers to arguments, copies them, and returns the call.
typedef std::function<std::function<void()>(void** arguments)> Kernel;

inline std::map<std::string, Kernel>& kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

template <class... Arguments, size_t... I> Kernel kernel_of(void (*function)(Arguments...), std::index_sequence<I...>) {
  return [function](void** arguments) -> std::function<void()> {
    (void)arguments;
    std::tuple<std::decay_t<Arguments>...> copies(*(std::decay_t<Arguments>*)arguments[I]...);
    return [function, copies] { std::apply(function, copies); };
  };
}
template <class... Arguments> bool add_kernel(const char* name, void (*function)(Arguments...)) {
  kernels()[name] = kernel_of(function, std::index_sequence_for<Arguments...>{});
  return true;
}
#define ADD_KERNEL(name) static const bool added_##name = add_kernel(#name, name)
