# frozen_string_literal: true

module Xlreg
  # What makes a Struct a value: it is frozen, and a changed one is another.
  # @api private
  module Value
    def initialize(**members)
      super
      freeze
    end

    # @return [String] the members, each as it shows itself
    def inspect = "#<#{self.class} #{each_pair.map { |name, value| "#{name}=#{value.inspect}" }.join(', ')}>"

    # @return [String] what inspect shows; of a Struct that would be all that is in it, keys too
    def to_s = inspect

    # Shows the same with pp.
    def pretty_print(printer) = printer.text(inspect)

    # @return [self.class] this value with some members replaced
    def with(**changes) = self.class.new(**to_h, **changes)
  end
end
