# frozen_string_literal: true

require 'fileutils'
require 'securerandom'

module Xlreg
  # Replaces files in one step: after a crash at any moment there is the old content or the new, never a mixture.
  # @api private
  module AtomicFile
    module_function

    # Makes data the content of a file; when it returns, the content is on disk.
    # @param path [String]
    # @param data [String]
    # @param mode [Integer]
    # @raise [SystemCallError] it cannot be written; the file is as it was
    def write(path, data, mode)
      folder, name = File.split(path)
      temporary = File.join(folder, ".#{name}.#{SecureRandom.hex(8)}.tmp")
      fill(temporary, data, mode)
      File.rename(temporary, path)
      sync(folder)
    rescue SystemCallError
      File.delete(temporary) if temporary && File.exist?(temporary)
      raise
    end

    # Makes a folder and those above it. When it returns, their names are on disk.
    # @param path [String]
    # @param mode [Integer]
    def make_folder(path, mode)
      missing = []
      folder = File.expand_path(path)
      until File.exist?(folder)
        missing << folder
        folder = File.dirname(folder)
      end
      FileUtils.mkdir_p(path, mode: mode)
      missing.each { |made| sync(File.dirname(made)) }
    end

    # Removes what a crash in the middle of write left beside a file. Nobody else may be writing to it.
    # @param path [String]
    def remove_leftovers(path)
      folder, name = File.split(path)
      Dir.children(folder).each do |child|
        File.delete(File.join(folder, child)) if child.start_with?(".#{name}.") && child.end_with?('.tmp')
      end
    end

    # @api private
    def fill(path, data, mode)
      File.open(path, File::WRONLY | File::CREAT | File::EXCL | File::BINARY, 0o600) do |file|
        file.write(data)
        file.chmod(mode)
        file.fsync
      end
    end

    # Puts a new name on disk. Some file systems cannot do that for a directory, and say so.
    # @api private
    def sync(folder)
      File.open(folder, &:fsync)
    rescue Errno::EINVAL, Errno::ENOTSUP
      nil
    end
  end
end
