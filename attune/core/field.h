// How an option describes itself. An options struct lists its members once, in fields(); the run
// file, flags, --help, docs/CONFIG.md, the resolved file and the resume check all come from there.
#pragma once

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

/// What is known of one option beside its name, its type and its default.
struct Field {
  std::string_view help = {};                 ///< One line, lower case, no full stop.
  std::optional<double> above = {};           ///< Value must be > this.
  std::optional<double> at_least = {};        ///< Value must be >= this.
  std::optional<double> below = {};           ///< Value must be < this.
  std::optional<double> at_most = {};         ///< Value must be <= this.
  std::vector<std::string_view> one_of = {};  ///< The allowed texts; empty: any.
  bool may_change = false;                    ///< A resumed run may differ in it.
};

/// A visitor that fields() can be called with, to ask whether a struct describes its options.
struct AnyVisitor {
  template <class T>
  void operator()(std::string_view, T&, const Field&) {}
};

/// A struct of options: default-constructible, with `template <class V> void fields(V&& field)`.
/// Members are bool, int64_t, double, std::string, std::vector<std::string>,
/// std::map<std::string, std::string>, or std::optional of the first four.
template <class T>
concept Options = std::default_initializable<T> && requires(T t, AnyVisitor v) {
  t.fields(v);
};

}  // namespace attune
