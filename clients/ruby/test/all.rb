# frozen_string_literal: true

# Runs all tests.
Dir[File.join(__dir__, 'test_*.rb')].each { |path| require path }
