// What a test expects of an error: its message.
#pragma once

#include <string>

#include "attune/core/error.h"

namespace attune {

/// The message of the Error that `act` throws, or "no error".
template <class Act>
std::string message_of(Act&& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace attune
