# frozen_string_literal: true

module Xlreg
  # What makes a Struct a value: it is frozen, and a changed one is another.
  # @api private
  module Value
    def initialize(**members)
      super
      freeze
    end

    # @return [self.class] this value with some members replaced
    def with(**changes) = self.class.new(**to_h, **changes)
  end
end
