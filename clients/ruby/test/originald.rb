# frozen_string_literal: true

require_relative 'real'

# The fake of the original servers that is in Go, which shares no code with any client: the program that
# XLREG_ORIGINALD names, or one that is built from this repository.
module Originald
  REPOSITORY = File.expand_path('../../..', __dir__)
  SOURCE = './internal/original/originald'

  module_function

  # @return [Boolean] whether there is one
  def there? = !ENV.fetch('XLREG_ORIGINALD', '').empty? || Dir.exist?(File.join(REPOSITORY, SOURCE))

  # @return [String] the program
  def program
    given = ENV.fetch('XLREG_ORIGINALD', '')
    given.empty? ? built : given
  end

  def built
    @built ||= File.join(folder, 'originald').tap do |path|
      system('go', 'build', '-o', path, SOURCE, chdir: REPOSITORY, exception: true)
    end
  end

  def folder
    @folder ||= Dir.mktmpdir('xlreg-').tap { |path| Minitest.after_run { FileUtils.remove_entry(path) } }
  end

  # One that runs.
  Running = Struct.new(:cred)

  # Runs the block with one.
  # @yieldparam running [Running]
  def run(generation, lose_races:)
    path = File.join(folder, "#{generation}.dat")
    command = [program, '--generation', generation, '--cred', path, '--stdin', *('--lose-races' if lose_races)]
    IO.popen(command, 'r+') do |server|
      server.gets or raise Xlreg::NoProgramError, 'originald does not start'
      yield Running.new(Xlreg::RegCred.read(path))
    ensure
      server.close_write
    end
  end
end
