#include "attune/cli/engine_commands.h"

#include <array>

namespace attune::cli {
namespace {

constexpr std::array kCommands{
    Command{"chat", chat_command},
    Command{"demo", demo_command},
    Command{"doctor", doctor_command},
    Command{"generate", generate_command},
    Command{"merge", merge_command},
    Command{"plan", plan_command},
    Command{"score", score_command},
    Command{"train", train_command},
};

}  // namespace

std::span<const Command> engine_commands() {
  return kCommands;
}

}  // namespace attune::cli
